//! The keys and values of the tokens so far, in memory that is taken once.

use crate::decoder::config::Config;
use tch::{Device, Kind, Tensor};

/// Of one layer: [1, kv_heads, capacity, head_dim] each.
pub struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// Writes keys and values of a run that begins at `start` and gives back all up to its end, without copying them.
    pub(crate) fn extend(&mut self, start: i64, keys: &Tensor, values: &Tensor) -> (Tensor, Tensor) {
        let time = keys.size()[2];
        self.keys.narrow(2, start, time).copy_(keys);
        self.values.narrow(2, start, time).copy_(values);
        (self.keys.narrow(2, 0, start + time), self.values.narrow(2, 0, start + time))
    }
}

/// Of all layers.
pub struct Cache {
    layers: Vec<LayerCache>,
    capacity: usize,
}

impl Cache {
    /// Room for `capacity` tokens, in the numbers and at the place where the model computes.
    pub fn new(config: &Config, capacity: usize, options: (Kind, Device)) -> Self {
        let empty = || Tensor::zeros([1, config.kv_heads, capacity as i64, config.head_dim], options);
        let layers = (0..config.layers).map(|_| LayerCache { keys: empty(), values: empty() }).collect();
        Self { layers, capacity }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut LayerCache {
        &mut self.layers[index]
    }

    /// A cache of its own with the first `used` tokens of this one.
    pub fn fork(&self, used: usize) -> Self {
        let copy = |from: &Tensor| {
            let to = from.zeros_like();
            to.narrow(2, 0, used as i64).copy_(&from.narrow(2, 0, used as i64));
            to
        };
        let layers = self.layers.iter().map(|l| LayerCache { keys: copy(&l.keys), values: copy(&l.values) }).collect();
        Self { layers, capacity: self.capacity }
    }
}

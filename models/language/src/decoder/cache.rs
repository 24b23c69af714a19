//! The key-value cache, allocated once.

use crate::decoder::config::Config;
use tch::{Device, Kind, Tensor};

/// Keys and values of one layer, [1, kv_heads, capacity, head_dim] each.
pub struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// Writes keys and values of a chunk at `start` and returns views of all keys and values up to its end.
    pub(crate) fn extend(&mut self, start: i64, keys: &Tensor, values: &Tensor) -> (Tensor, Tensor) {
        let time = keys.size()[2];
        self.keys.narrow(2, start, time).copy_(keys);
        self.values.narrow(2, start, time).copy_(values);
        (self.keys.narrow(2, 0, start + time), self.values.narrow(2, 0, start + time))
    }
}

/// Keys and values of all layers.
pub struct Cache {
    layers: Vec<LayerCache>,
    capacity: usize,
}

impl Cache {
    /// A cache for `capacity` tokens; `options`: data type and device of the model.
    pub fn new(config: &Config, capacity: usize, options: (Kind, Device)) -> Self {
        let empty = || Tensor::zeros([1, config.kv_heads, capacity as i64, config.head_dim], options);
        let layers = (0..config.layers).map(|_| LayerCache { keys: empty(), values: empty() }).collect();
        Self { layers, capacity }
    }

    /// The number of tokens that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut LayerCache {
        &mut self.layers[index]
    }

    /// A new cache with a copy of the first `used` tokens.
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

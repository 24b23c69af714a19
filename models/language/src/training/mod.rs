//! Training and evaluation: corpus, pretraining, fine-tuning, LoRA adapters, AdamW, plots.

pub mod adamw;
pub mod corpus;
pub mod evaluate;
pub mod finetune;
mod log;
pub mod lora;
pub mod plots;
pub mod pretrain;

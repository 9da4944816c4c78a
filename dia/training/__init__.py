"""Training: modules, objectives, optimizers, callbacks, checkpoints and distribution."""

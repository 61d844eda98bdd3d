"""From texts to weights: pre-training, fine-tuning, distillation."""

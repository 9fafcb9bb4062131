"""Inference: engines that run nets, and the tasks around them."""

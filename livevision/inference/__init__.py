"""The third stage: engines that compute nets, and the tasks around them."""

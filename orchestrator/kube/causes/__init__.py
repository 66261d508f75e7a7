"""What can keep a pod from running, one module for each kind of cause; `explain` picks among them."""

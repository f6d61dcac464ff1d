"""What is out of the ordinary on the ground: observations picture by picture, and incidents made of them."""

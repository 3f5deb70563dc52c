"""What would save: each kind is a module that opens with its rule; `reading` asks them all."""

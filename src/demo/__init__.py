"""The sample company: it makes devices, sells them and ships them; a seeded feed for every shipped domain."""

"""What pip makes and what people build: installed folders, wheels, source trees."""

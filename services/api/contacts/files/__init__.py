"""Reading a file of contacts, in a process of its own where it is long: it knows neither the database nor HTTP."""

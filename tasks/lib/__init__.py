"""Plain functions and data models under the tasks: no Invoke decorators, tested without mocks."""

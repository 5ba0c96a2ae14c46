"""The same JSON route in each framework: `GET /items/{id}`, with a whole number as `id`.

Every application is written the way its framework's documentation writes it, and answers
`{"id": 42, "name": "Ada", "tags": ["first", "second"], "active": true}`.
"""

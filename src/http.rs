//! The HTTP edge: connections, routes, decoding and encoding. Knows the service, never a worker or a container.

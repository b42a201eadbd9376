"""The service that Slipway carries to production: it tells the time in any zone, and which release is answering."""

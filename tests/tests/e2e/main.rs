//! The end-to-end tests, one file per concern. The harness is the library beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

mod agents;
mod amqp;
mod anteon;
mod attach;
mod bad_input;
mod capabilities;
mod capture_file;
mod connections;
mod dns;
mod guard;
mod http;
mod http2;
mod idle;
mod kafka;
mod languages;
mod mariadb;
mod mongodb;
mod nginx;
mod opaque;
mod operations;
mod opt_out;
mod postgresql;
mod processes;
mod recording;
mod redaction;
mod redis;
mod server;
mod tls;

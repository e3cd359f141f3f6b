//! `publisher posts`.

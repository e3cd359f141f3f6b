//! `publisher accounts`.

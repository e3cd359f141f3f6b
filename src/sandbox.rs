//! A local twin of the platforms.

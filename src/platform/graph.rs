//! What Facebook and Instagram share: the Graph API.

//! The binary `twocan`.

fn main() {}

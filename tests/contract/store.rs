macro_rules! store_contract {
    ($($t:tt)*) => {};
}

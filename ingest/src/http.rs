pub mod client_address;

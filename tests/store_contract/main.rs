//! Every store keeps the contract, and each what its database makes hard.

mod dead_letters;
mod fixture;
mod partitions;
mod postgres_faults;
mod postgres_schema;
mod pruning;
mod sqlite_faults;

mod sqlite {
    mod contract {
        writer::store_contract!(async { crate::fixture::SqliteFixture::new() });
    }
}

mod postgres {
    mod contract {
        writer::store_contract!(crate::fixture::PostgresFixture::new());
    }
}

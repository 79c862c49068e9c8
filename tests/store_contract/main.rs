//! Every store keeps the contract, and each what its database makes hard.

mod fixture;

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

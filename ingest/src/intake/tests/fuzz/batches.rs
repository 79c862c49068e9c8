//! Batches: arrays and lines.

use shared::fuzz::{Target, mutated};

use super::*;

const FORMATS: [BatchFormat; 3] = [BatchFormat::Json, BatchFormat::Lines, BatchFormat::Plain];

fn items() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let item = prop_oneof![
        3 => sent().prop_map(|sent| sent.json().into_bytes()).boxed(),
        1 => mutated(sent().prop_map(|sent| sent.json().into_bytes()), WORDS).boxed(),
    ];
    proptest::collection::vec(item, 1..8)
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [b"[", &items.join(&b","[..])[..], b"]"].concat()
}

#[test]
fn fuzz_a_batch_accepts_or_names_each_item() {
    let bodies = items().prop_flat_map(|items| {
        let lines = items.join(&b'\n');
        prop_oneof![mutated(Just(array(&items)), WORDS), mutated(Just(lines), WORDS)]
    });
    Target::new("batches", file!()).run(
        (bodies, proptest::sample::select(&FORMATS[..])),
        |(body, format)| {
            let intake = intake();
            let Ok(batch) = intake.batch(format, &Bytes::from(body)) else { return Ok(()) };
            let count = batch.items.len() + batch.rejected.len();
            prop_assert!((1..=batch::ITEMS_MAX).contains(&count));
            let indexes: Vec<_> = batch.rejected.iter().map(|item| item.index).collect();
            prop_assert!(
                indexes.is_sorted_by(|one, next| one < next) && indexes.iter().all(|index| *index < count)
            );
            let rejected = serde_json::to_string(&batch.rejected).expect("JSON");
            prop_assert!(rejected.matches("\"index\":").count() == batch.rejected.len());
            batch.items.iter().try_for_each(|item| check(&item.fields))
        },
    );
}

/// What stands in an array means the same as on lines, and as alone.
#[test]
fn fuzz_an_item_means_the_same_wherever_it_stands() {
    Target::new("batch_items", file!()).run(items(), |items| {
        let intake = intake();
        let outcome = |batch: &Batch| {
            let good: Vec<_> =
                batch.items.iter().map(|item| (item.fields.date, item.fields.path.clone())).collect();
            (good, batch.rejected.clone())
        };
        let is_line =
            |item: &Vec<u8>| !item.contains(&b'\n') && item.iter().any(|byte| !json::is_whitespace(*byte));
        let whole: Vec<_> = items.iter().filter(|item| is_line(item)).cloned().collect();
        let lines = whole.join(&b"\r\n \n"[..]);
        let Ok(of_lines) = intake.batch(BatchFormat::Lines, &Bytes::from(lines)) else {
            prop_assert!(whole.is_empty());
            return Ok(());
        };
        prop_assert_eq!(of_lines.items.len() + of_lines.rejected.len(), whole.len());
        for (index, item) in whole.iter().enumerate() {
            let alone = intake.batch(BatchFormat::Lines, &Bytes::copy_from_slice(item)).expect("one line");
            let found = of_lines.rejected.iter().find(|item| item.index == index).map(|item| &item.reason);
            prop_assert_eq!(alone.rejected.first().map(|item| &item.reason), found);
        }
        let are_json =
            whole.iter().all(|item| serde_json::from_slice::<&serde_json::value::RawValue>(item).is_ok());
        if are_json {
            let array = Bytes::from(array(&whole));
            let of_array = intake.batch(BatchFormat::Json, &array).expect("an array");
            prop_assert_eq!(outcome(&of_array), outcome(&of_lines));
        }
        Ok(())
    });
}

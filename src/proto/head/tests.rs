//! Tests of message heads: every edit against a plain vector.

use proptest::prelude::*;

use super::*;

const NAMES: &[&str] = &["host", "X-Foo", "x-bar", "Cookie", "set-cookie", "TE"];

#[derive(Debug, Clone)]
enum Edit {
    Append(usize, String),
    Insert(usize, usize, String),
    Remove(usize),
    SetValue(usize, String),
    Rebase,
}

fn edit() -> impl Strategy<Value = Edit> {
    let (name, at, value) = (0..NAMES.len(), 0_usize..8, "[ -~]{0,12}");
    prop_oneof![
        4 => (name.clone(), value).prop_map(|(name, value)| Edit::Append(name, value)),
        2 => (at.clone(), name.clone(), value).prop_map(|(at, name, value)| Edit::Insert(at, name, value)),
        1 => at.clone().prop_map(Edit::Remove),
        2 => (at, value).prop_map(|(at, value)| Edit::SetValue(at, value)),
        1 => Just(Edit::Rebase),
    ]
}

/// Makes the same edit on a plain vector.
fn model(fields: &mut Vec<(String, String)>, edit: &Edit) {
    let lower = |name: &usize| NAMES[*name].to_ascii_lowercase();
    match edit {
        Edit::Append(name, value) => fields.push((lower(name), value.clone())),
        Edit::Insert(at, name, value) => {
            fields.insert((*at).min(fields.len()), (lower(name), value.clone()));
        }
        Edit::Remove(at) if *at < fields.len() => {
            fields.remove(*at);
        }
        Edit::SetValue(at, value) if *at < fields.len() => fields[*at].1 = value.clone(),
        _ => {}
    }
}

proptest! {
    #[test]
    fn edits_are_those_of_a_vector(edits in prop::collection::vec(edit(), 0..40), room in 0_u32..400) {
        let mut store = vec![0; 1000];
        let mut head = Head::with_capacity(4);
        head.reserve = 100..100 + room;
        let memory = head.slots.capacity();
        let mut fields = Vec::new();
        for edit in &edits {
            let done = match edit {
                Edit::Append(name, value) => head.append(&mut store, NAMES[*name].as_bytes(), value.as_bytes()),
                Edit::Insert(at, name, value) => {
                    head.insert(&mut store, *at, NAMES[*name].as_bytes(), value.as_bytes())
                }
                Edit::Remove(at) => { head.remove(*at); Ok(()) }
                Edit::SetValue(at, value) => head.set_value(&mut store, *at, value.as_bytes()),
                Edit::Rebase => {
                    store.copy_within(0..900, 5);
                    head.rebase(5);
                    head.reserve = head.reserve.start + 5..head.reserve.end + 5;
                    store.copy_within(5..905, 0);
                    head.rebase(-5);
                    head.reserve = head.reserve.start - 5..head.reserve.end - 5;
                    Ok(())
                }
            };
            // An edit without room changes nothing.
            if done.is_ok() {
                model(&mut fields, edit);
            }
            let found: Vec<(String, String)> = head
                .iter(&store)
                .map(|(id, name, value)| {
                    assert_eq!(id, Known::from_name(name));
                    (String::from_utf8_lossy(name).into(), String::from_utf8_lossy(value).into())
                })
                .collect();
            prop_assert_eq!(&found, &fields);
            for name in NAMES {
                let first = fields.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
                prop_assert_eq!(head.find(&store, name.as_bytes(), 0), first);
            }
        }
        prop_assert_eq!(head.slots.capacity(), memory);
    }
}

#[test]
fn known_names() {
    for &(name, id) in (0..32).flat_map(Known::of_len) {
        let name = name.text();
        assert_eq!(Known::from_name(&name.to_ascii_uppercase()), id);
        assert_eq!(Known::from_name(&name[1..]), Known::Other);
    }
    assert_eq!((0..32).flat_map(Known::of_len).count(), 12);
    assert!((0..32).all(|len| {
        Known::of_len(len)
            .iter()
            .all(|(name, _)| name.text().len() == len)
    }));
    assert_eq!(Known::from_name(b"www\rauthenticate"), Known::Other);
    assert_eq!(Known::from_name(b""), Known::Other);
}

//! Names of containers that were heard of, the latest ones.

use std::collections::{HashMap, VecDeque};

use crate::identity::Names;

/// Containers that are remembered; one that is forgotten is asked for.
const MAX: usize = 16_384;

/// Names by id. The oldest one makes room.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: HashMap<String, Names>,
    order: VecDeque<String>,
}

impl Known {
    pub(super) fn insert(&mut self, id: String, names: Names) {
        if self.names.insert(id.clone(), names).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Names> {
        self.names.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Runtime;

    #[test]
    fn the_oldest_name_makes_room_and_a_rename_takes_none() {
        let mut known = Known::default();
        let names = |name: &str| Names::plain(Runtime::Docker, name);
        for id in 0..MAX {
            known.insert(id.to_string(), names("a"));
        }
        known.insert("1".to_owned(), names("b"));
        assert_eq!(known.get("1"), Some(names("b")));
        assert!(known.get("0").is_some());
        known.insert("one more".to_owned(), names("c"));
        assert_eq!(known.get("0"), None);
        assert_eq!((known.names.len(), known.order.len()), (MAX, MAX));
    }
}

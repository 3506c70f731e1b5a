//! A list that only its own kind of id may index.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

#[derive(Debug)]
pub(crate) struct Arena<Id, T>(Vec<T>, PhantomData<Id>);

impl<Id: From<usize> + Into<usize> + Copy, T> Arena<Id, T> {
    pub(crate) fn new() -> Arena<Id, T> {
        Arena(Vec::new(), PhantomData)
    }

    pub(crate) fn push(&mut self, item: T) -> Id {
        self.0.push(item);
        Id::from(self.0.len() - 1)
    }

    pub(crate) fn next_id(&self) -> Id {
        Id::from(self.0.len())
    }
}

impl<Id: Into<usize>, T> Index<Id> for Arena<Id, T> {
    type Output = T;

    fn index(&self, id: Id) -> &T {
        self.0.get(id.into()).expect("an id of this network")
    }
}

impl<Id: Into<usize>, T> IndexMut<Id> for Arena<Id, T> {
    fn index_mut(&mut self, id: Id) -> &mut T {
        self.0.get_mut(id.into()).expect("an id of this network")
    }
}

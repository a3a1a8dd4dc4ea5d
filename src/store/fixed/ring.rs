//! A ring: the newest items in a fixed array, appended at one end and dropped at the other.

use crate::store::error::StoreError;

/// Items in an array `S` of fixed length, the oldest at index 0. A ring over an array coerces to one over
/// a slice, so that the code below exists once, whatever the capacities.
#[derive(Clone)]
pub(super) struct Ring<S: ?Sized> {
    start: usize,
    len: usize,
    items: S,
}

impl<T: Copy, const N: usize> Ring<[T; N]> {
    /// An empty ring over an array filled with `fill`.
    pub(super) const fn new(fill: T) -> Self {
        Self { start: 0, len: 0, items: [fill; N] }
    }
}

impl<T: Copy> Ring<[T]> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn capacity(&self) -> usize {
        self.items.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<T> {
        if index < self.len { self.items.get(self.place(index)).copied() } else { None }
    }

    /// Replaces the item at `index`.
    pub(super) fn set(&mut self, index: usize, item: T) -> Result<(), StoreError> {
        let place = self.place(index);
        let slot = self.items.get_mut(place).filter(|_| index < self.len).ok_or(StoreError::Damaged)?;
        *slot = item;
        Ok(())
    }

    /// Copies the items from `index` on into the whole of `buf`.
    pub(super) fn read(&self, index: usize, buf: &mut [T]) -> Result<(), StoreError> {
        if buf.len() > self.len.saturating_sub(index) {
            return Err(StoreError::Damaged);
        }
        // Up to the end of the array, and on from its beginning.
        let (until_end, from_start) = (self.items.get(self.place(index)..), &self.items);
        let until_end = until_end.unwrap_or_default();
        let (front, back) = buf.split_at_mut(until_end.len().min(buf.len()));
        for (to, from) in [(front, until_end), (back, from_start)] {
            let from = from.get(..to.len()).ok_or(StoreError::Damaged)?;
            to.copy_from_slice(from);
        }
        Ok(())
    }

    /// Appends all of `items`, or none: [`StoreError::Full`].
    pub(super) fn push(&mut self, items: &[T]) -> Result<(), StoreError> {
        if items.len() > self.capacity() - self.len {
            return Err(StoreError::Full);
        }
        let place = self.place(self.len);
        let (front, back) = items.split_at(items.len().min(self.capacity() - place));
        for (place, from) in [(place, front), (0, back)] {
            let to = self.items.get_mut(place..place + from.len()).ok_or(StoreError::Damaged)?;
            to.copy_from_slice(from);
        }
        self.len += items.len();
        Ok(())
    }

    /// Drops the `count` oldest items.
    pub(super) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.start = self.place(count);
        self.len -= count;
    }

    /// Drops the `count` newest items.
    pub(super) fn drop_back(&mut self, count: usize) {
        self.len = self.len.saturating_sub(count);
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.len) = (0, 0);
    }

    /// Where in the array the item at `index` ≤ `len` is. No sum overflows: arrays are at most
    /// `isize::MAX` bytes.
    fn place(&self, index: usize) -> usize {
        let place = self.start + index;
        if place < self.capacity() { place } else { place - self.capacity() }
    }
}

impl<T: Copy + PartialEq> PartialEq for Ring<[T]> {
    /// Whether both hold the same items, wherever in their arrays.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && (0..self.len).all(|index| self.get(index) == other.get(index))
    }
}

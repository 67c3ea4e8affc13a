//! What happens after accept: dispatch, deliver, archive, sweep.

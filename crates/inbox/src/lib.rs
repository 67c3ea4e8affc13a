//! Hot inbox state in Redis: items, unread, content, live fan-out.

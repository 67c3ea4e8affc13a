//! REST, realtime, OpenAPI, the pages.

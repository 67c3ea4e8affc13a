//! Channels to people outside the app: email over SMTP, SMS over HTTP gateways.

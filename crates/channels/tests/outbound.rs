//! The guarded client against a real server on the loopback, which is no public address.

use std::time::{Duration, Instant};

use stentor_channels::outbound::{HttpAnswer, HttpBody, HttpClient, HttpError, HttpRequest, Network, Reach};
use stentor_testkit::{Answer, SmsGateway, free_port};

const CAP: usize = 64 * 1024;

fn client(reach: Reach) -> HttpClient {
    HttpClient::new(reach, Duration::from_secs(2), CAP).expect("TLS can be set up")
}

async fn get(client: &HttpClient, url: &str) -> Result<HttpAnswer, HttpError> {
    client.call(HttpRequest::get(url.parse().expect("a URL")), Duration::MAX).await
}

#[tokio::test]
async fn what_an_app_points_at_must_be_public_however_it_is_spelled() {
    let server = SmsGateway::start();
    let (guarded, port) = (client(Reach::public(&[])), server.port());
    for host in ["127.0.0.1", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let refused = get(&guarded, &format!("http://{host}:{port}/x")).await.unwrap_err();
        assert_eq!(refused, HttpError::Refused("does not lead to a public address"), "{host}");
        assert!(refused.nothing_sent());
    }
    for (url, why) in [
        (format!("http://u:p@127.0.0.1:{port}/"), "must not hold a user name or password"),
        ("ftp://127.0.0.1/".to_owned(), "must be an http:// or https:// URL"),
    ] {
        assert_eq!(get(&guarded, &url).await.unwrap_err(), HttpError::Refused(why));
    }
    assert!(server.requests().is_empty(), "nobody was asked");
    let excepted: Network = "127.0.0.0/8".parse().unwrap();
    let own = client(Reach::public(&[excepted]));
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(get(&own, &format!("http://{host}:{port}/")).await.unwrap().status, 200, "{host}");
    }
    assert_eq!(get(&client(Reach::Anywhere), &server.url()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_leads_nowhere() {
    let server = SmsGateway::start();
    server.answer(&[Answer::status(302).with_header("Location", "/elsewhere"), Answer::status(200)]);
    assert_eq!(get(&client(Reach::Anywhere), &server.url()).await.unwrap().status, 302);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_cap_and_no_longer_than_the_deadline() {
    let server = SmsGateway::start();
    let client = client(Reach::Anywhere);
    server.answer(&[Answer::body(200, "x".repeat(CAP)), Answer::body(200, "x".repeat(10 * 1024 * 1024)), Answer::Stall]);
    assert!(matches!(get(&client, &server.url()).await.unwrap().body, HttpBody::Whole(body) if body.len() == CAP));
    assert_eq!(get(&client, &server.url()).await.unwrap().body, HttpBody::TooLong);
    let start = Instant::now();
    let late = get(&client, &server.url()).await.unwrap_err();
    assert!(matches!(late, HttpError::TimedOut(_)) && !late.nothing_sent(), "{late:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    server.answer(&[Answer::Drop]);
    assert_eq!(get(&client, &server.url()).await.unwrap_err(), HttpError::Lost);
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    assert_eq!(get(&client, &nobody).await.unwrap_err(), HttpError::Unreachable);
}

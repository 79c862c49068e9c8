//! Compressed bodies: sound ones, bombs, cut and spoilt ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::batch::{LINES, accepted, batch_with, lines};
use super::{SENTINEL, post_with, refused};
use crate::server::Server;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BODY: &str = "date=2016-12-29T07:35:22Z&path=x";
type Encode = fn(&[u8]) -> Vec<u8>;
const CODINGS: [(&str, Encode); 2] = [("gzip", gzip), ("zstd", zstd)];

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 19).expect("memory")
}

fn log(coding: &str, body: &[u8]) -> Vec<u8> {
    post_with(&format!("{FORM}Content-Encoding: {coding}\r\n"), body)
}

fn batch(coding: &str, body: &[u8]) -> Vec<u8> {
    batch_with(LINES, &format!("Content-Encoding: {coding}\r\n"), body)
}

#[tokio::test]
async fn sound_bodies() {
    let server = Server::start().await;
    for (coding, encode) in CODINGS {
        super::accepted(&server, coding, log(coding, &encode(BODY.as_bytes()))).await;
        let (answer, _) = accepted(&server, coding, batch(coding, &encode(lines(1000).as_bytes()))).await;
        assert_eq!(answer["accepted"], 1000);
    }
}

#[tokio::test]
async fn bombs() {
    let server = Server::start().await;
    for (coding, encode) in CODINGS {
        let by_size = encode(&vec![b'\n'; 50 * 1024 * 1024]);
        refused(&server, "a bomb by size", batch(coding, &by_size), 413).await;
        refused(&server, "a bomb in a log request", log(coding, &by_size), 413).await;
        let by_ratio = encode(&[lines(1).as_bytes(), &vec![b'\n'; 900 * 1024]].concat());
        assert!(by_ratio.len() < 2000);
        refused(&server, "a bomb by ratio", batch(coding, &by_ratio), 413).await;
        let large = encode(format!("{BODY}&x={}", "x".repeat(65_536)).as_bytes());
        refused(&server, "large after decompression", log(coding, &large), 413).await;
    }
}

#[tokio::test]
async fn cut_and_spoilt_bodies() {
    let server = Server::start().await;
    for (coding, encode) in CODINGS {
        let sound = encode(format!("{SENTINEL}\n{}", lines(50)).as_bytes());
        for length in [0, 1, 10, sound.len() / 2, sound.len() - 1] {
            refused(&server, "cut", batch(coding, &sound[..length]), 400).await;
        }
        let mut spoilt = sound.clone();
        spoilt[sound.len() / 2] ^= 0x55;
        spoilt[sound.len() / 2 + 1] ^= 0x55;
        refused(&server, "spoilt", batch(coding, &spoilt), 400).await;
        refused(&server, "not compressed", log(coding, BODY.as_bytes()), 400).await;
        refused(&server, "bytes behind it", batch(coding, &[&sound[..], b"x"].concat()), 400).await;
    }
    refused(&server, "zstd for gzip", log("gzip", &zstd(BODY.as_bytes())), 400).await;
}

#[tokio::test]
async fn wrong_codings() {
    let server = Server::start().await;
    let once = gzip(BODY.as_bytes());
    let twice = gzip(&once);
    for coding in ["br", "deflate", "compress", "gzip, gzip", "zstd, gzip", SENTINEL, ""] {
        for request in [log(coding, &twice), batch(coding, &twice)] {
            let answer = refused(&server, coding, request, 415).await;
            assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"));
        }
    }
    let headers = format!("{FORM}Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n");
    refused(&server, "two headers", post_with(&headers, &twice), 415).await;
    refused(&server, "compressed twice", log("gzip", &twice), 400).await;
}

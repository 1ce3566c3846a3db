//! A site whose certificate nobody vouches for gets no password.

use std::process::Stdio;

use chatferry::fault::Code;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::packs::page_pack;
use crate::support::web_page::Window;

const MESSAGES: &str = r#"
[messages]
row = ".m"
text = "p"
direction.own = ".own"
"#;

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .await
        .expect("openssl is missing: apt-get install openssl");
    assert!(made.success());
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-key", "key.pem", "-cert", "cert.pem", "-www"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the server ended");
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.to_owned();
        }
    };
    let window = Window::blank(&page_pack(MESSAGES), &format!("https://{address}")).await;
    let fault = window.page.open("/").await.unwrap_err();
    assert_eq!(fault.code(), Code::SiteUnreachable);
    assert!(fault.to_string().contains("ERR_CERT_AUTHORITY_INVALID"), "{fault}");
    window.close().await;
}

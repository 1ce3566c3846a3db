//! Orders that reach their account, and those that do not.

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ports::Lease;

/// Nobody but `elsewhere` holds anything.
struct Held(Option<&'static str>);

#[async_trait]
impl Leases for Held {
    async fn acquire(&self, _: &AccountId, _: &str, _: Duration) -> Result<Option<Lease>, AnyFault> {
        Ok(None)
    }
    async fn renew(&self, _: &Lease, _: Duration) -> Result<Option<Lease>, AnyFault> {
        Ok(None)
    }
    async fn release(&self, _: &Lease) -> Result<(), AnyFault> {
        Ok(())
    }
    async fn holder(&self, account: &AccountId) -> Result<Option<Lease>, AnyFault> {
        let lease = |owner: &str| Lease {
            account: account.clone(),
            owner: owner.to_owned(),
            epoch: 1,
            until: jiff::Timestamp::MAX,
        };
        Ok(self.0.map(lease))
    }
}

fn id() -> AccountId {
    "demo/default".parse().unwrap()
}

fn desk(folder: &std::path::Path, holder: Option<&'static str>) -> Desk {
    let spool = Arc::new(Spool::open(folder, false).unwrap());
    Desk::new(Arc::new(Held(holder)), "us".to_owned(), spool, vec![id(), "meetme/two".parse().unwrap()])
}

fn status(state: AccountState, code: Option<Code>) -> AccountStatus {
    AccountStatus {
        account: id(),
        state,
        since: jiff::Timestamp::UNIX_EPOCH,
        code,
        sentence: String::new(),
        action: None,
        expires_at: jiff::Timestamp::MAX,
        last_pass_at: None,
    }
}

#[tokio::test]
async fn an_order_reaches_its_account_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = async |desk: &Desk, name: &str| {
        let fault = desk.order(name, Order::Pause).await.unwrap_err();
        (fault.code(), fault.chain())
    };
    let ours = desk(folder.path(), Some("us"));
    for name in ["demo", "demo/defualt"] {
        let (code, told) = refusal(&ours, name).await;
        assert!(code == Code::AccountUnknown && told.ends_with("did you mean demo/default?"), "{told}");
    }
    assert_eq!(refusal(&ours, "demo/default").await.0, Code::OrderRefused, "nothing is collected yet");
    let mailbox = ours.mailbox(&id());
    let errand = mailbox.begin(&CancellationToken::new());
    ours.order("demo/default", Order::Pause).await.unwrap();
    assert!(errand.is_cancelled() && mailbox.take(Wish::Pause) && !mailbox.take(Wish::Pause));
    let folder = tempfile::tempdir().unwrap();
    let theirs = desk(folder.path(), Some("another-machine"));
    let (code, told) = refusal(&theirs, "demo/default").await;
    assert!(code == Code::AccountHeld && told.contains("another-machine"), "{told}");
}

#[tokio::test]
async fn what_a_resume_means_depends_on_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(folder.path(), None);
    let mailbox = desk.mailbox(&id());
    let mut told = Vec::new();
    for (state, code) in [
        (AccountState::Live, None),
        (AccountState::Parked, Some(Code::Captcha)),
        (AccountState::Parked, Some(Code::LoginBudget)),
        (AccountState::Stopped, Some(Code::Paused)),
        (AccountState::Backoff, Some(Code::SiteUnreachable)),
    ] {
        mailbox.told(&status(state, code));
        let sentence = desk.order("demo/default", Order::Resume).await.unwrap();
        told.push((mailbox.take(Wish::Resume), sentence.contains("count no more")));
    }
    assert_eq!(told, [(false, false), (true, false), (true, true), (true, false), (true, false)]);
}

#[tokio::test]
async fn a_code_is_taken_only_while_somebody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(folder.path(), None);
    let mailbox = desk.mailbox(&id());
    let code = || Order::Answer(SecretString::from("123456"));
    assert_eq!(desk.order("demo/default", code()).await.unwrap_err().code(), Code::OrderRefused);
    let site = async {
        let answer = mailbox.code().await;
        answer.reply(Ok(()));
    };
    let person = async {
        loop {
            match desk.order("demo/default", code()).await {
                Ok(told) => return told,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let ((), told) = tokio::join!(site, person);
    assert!(told.contains("took the code") && !told.contains("123456"), "{told}");
    assert_eq!(desk.order("demo/default", code()).await.unwrap_err().code(), Code::OrderRefused);
}

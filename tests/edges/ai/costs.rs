//! What is counted, and what a budget has to set aside: never less than what is consumed in the end.

use chatferry::config::AiProvider::{Anthropic, OpenAi};
use chatferry::config::Price;
use chatferry::ports::Analyst;

use super::{chat, plain, service};
use crate::support::ai::{Act, FakeAi};

#[tokio::test]
async fn tokens_are_those_of_the_service_and_cost_what_the_prices_say() {
    for provider in [OpenAi, Anthropic] {
        let fake = FakeAi::start(provider).await;
        let mut settings = fake.settings();
        (settings.price_input, settings.price_output) = (Price(2_000_000), Price(8_000_000));
        let usage = service(settings).analyse(&plain()).await.usage;
        let (input, output) = fake.tokens();
        assert_eq!((usage.calls, usage.input_tokens, usage.output_tokens), (1, input, output));
        assert_eq!(usage.cost_micros, 2 * input + 8 * output);
    }
}

#[tokio::test]
async fn what_fails_is_counted_too() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::Say("no".to_owned()));
    let reply = service(fake.settings()).analyse(&plain()).await;
    assert!(reply.verdict.is_err());
    let (input, output) = fake.tokens();
    assert_eq!((reply.usage.calls, reply.usage.input_tokens, reply.usage.output_tokens), (2, input, output));
}

#[tokio::test]
async fn a_service_that_does_not_count_is_counted_by_us() {
    let fake = FakeAi::start(OpenAi).await;
    fake.always(Act::NoUsage);
    let usage = service(fake.settings()).analyse(&plain()).await.usage;
    let (input, output) = fake.tokens();
    assert!(usage.input_tokens >= input && usage.output_tokens >= output / 2, "{usage:?} {input} {output}");
}

#[tokio::test]
async fn the_most_is_never_exceeded() {
    let emoji = "🏳️‍🌈".repeat(200);
    let long = "word ".repeat(1_000);
    for request in [plain(), chat("e", &[&emoji, &long, "x"]), chat("l", &vec![long.as_str(); 200])] {
        for acts in [
            vec![],
            vec![Act::Say("x".repeat(7_000)), Act::Say("y".repeat(7_000))],
            vec![Act::ResetInTheMiddle, Act::Say("x".repeat(7_000)), Act::ResetInTheMiddle],
            vec![Act::failed(500), Act::Garbage(b"{".to_vec()), Act::Say("x".to_owned())],
        ] {
            let fake = FakeAi::start(OpenAi).await;
            fake.script(acts);
            let mut settings = fake.settings();
            (settings.price_input, settings.price_output) = (Price(2_000_000), Price(8_000_000));
            let service = service(settings);
            let most = service.most(&request);
            let used = service.analyse(&request).await.usage;
            let (input, output) = fake.tokens();
            assert!(used.input_tokens <= most.input_tokens && input <= most.input_tokens, "{used:?} {most:?} {input}");
            assert!(
                used.output_tokens <= most.output_tokens && output <= most.output_tokens,
                "{used:?} {most:?} {output}"
            );
            assert!(used.cost_micros <= most.cost_micros);
        }
    }
    // And it is no figure out of all proportion: a short chat needs no fortune.
    let fake = FakeAi::start(OpenAi).await;
    let most = service(fake.settings()).most(&plain());
    assert!(most.input_tokens < 18_000 && most.output_tokens == 6_000, "{most:?}");
}

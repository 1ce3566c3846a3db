//! Words that belong to a control that writes: chatferry reads, so nothing in a pack may point at one.
//!
//! The rule looks at the words inside selectors and keys; the page agent checks the elements again.

/// Words in a selector or key that belong to a control that writes.
const FORBIDDEN: [&str; 12] = [
    "compose",
    "composer",
    "send",
    "sendbutton",
    "textarea",
    "contenteditable",
    "textbox",
    "reply",
    "replybox",
    "messagebox",
    "draft",
    "upload",
];

/// Whether a key or selector names a control that writes; says what is wrong with it.
pub fn forbidden_word(text: &str) -> Option<String> {
    words(text)
        .into_iter()
        .find(|word| FORBIDDEN.contains(&word.as_str()))
        .map(|word| format!("chatferry only reads, so a pack holds no control that writes (found the word `{word}`)"))
}

/// Splits `.messageComposer_send-btn` into `message composer send btn`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_lower = false;
    for c in text.chars() {
        let starts_word = !c.is_alphanumeric() || (c.is_uppercase() && previous_lower);
        if starts_word && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        previous_lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_from_their_likes() {
        for innocent in [".chat-message-sent", ".sender-name", ".message.outgoing", "[data-sender]", ".resend-info"] {
            assert_eq!(forbidden_word(innocent), None, "{innocent}");
        }
        assert!(forbidden_word(".messageComposer .x").unwrap().contains("`composer`"));
        assert!(forbidden_word("#send").is_some());
    }
}

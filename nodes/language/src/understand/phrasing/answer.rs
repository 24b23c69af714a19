//! Whether an utterance answers a yes-or-no question of the node.
//!
//! Phrases that are a yes or a no as a whole ("why not", "no need") are taken out first, the longest at each place, then single
//! words. A negation decides about what follows it. Where both a yes and a no are left, the answer is unclear.

use super::words::{FILLERS, REQUEST_VERBS, expanded, is, longest};

/// The answer to a yes-or-no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is to be done.
    Yes,
    /// It is not to be done.
    No,
    /// The question has to be asked again.
    Unclear,
}

/// As a whole a yes.
const YES: &str = "yes|yeah|yep|yup|yea|ya|yah|yo|aye|sure|sure thing|ok|okay|k|absolutely|definitely|certainly|affirmative|\
    indeed|correct|exactly|alright|all right|right|fine|totally|gladly|obviously|naturally|of course|mhm|mm hmm|\
    uh huh|please|please do|do|do it|do that|do so|do go ahead|go|go ahead|go on|go for it|get on with it|\
    by all means|be my guest|you bet|you can|you could|you may|you must|you should|you had better|\
    you would better|do please|i do|i would|i think so|i guess so|i suppose so|i believe so|i hope so|\
    i would say so|i am sure|i would like that|i would love that|i would like you to|i want that|i want you to|\
    i need that|i need it|i need help|i need them|i do not mind|i would not mind|i am fine with that|\
    i am fine with it|i am ok with that|i am okay with that|fine with me|fine by me|that is fine by me|why not|\
    no problem|no doubt|no objection|no objections|no time to lose|no time to waste|not a bad idea|can not wait|\
    can not hurt|could not hurt|would not hurt|it would not hurt|do not wait|do not hesitate|\
    what are you waiting for|better safe than sorry|sounds good|sounds great|good idea|great idea|\
    that would be good|that would be great|that would be nice|that would be lovely|that would help|let us do it|\
    let us do that|let us|make it so|if you would|if you could";

/// Wishes for haste: a yes.
const HURRY: &str = "hurry|hurry up|quick|quickly|be quick|make it quick|fast|now|right now|right away|straight away|at once|\
    immediately|as soon as possible|asap|as fast as you can|as quick as you can|as quickly as you can|come on|\
    do not waste time";

/// What was asked about, said again: a yes. After each verb one of the objects may follow.
const HELP_VERBS: &str = "call|ring|phone|dial|contact|get|send|alert|notify|call for|send for|look for";
const HELP_OBJECTS: &str = "them|it|one|help|for help|somebody|someone|anyone|an ambulance|the ambulance|ambulance|the police|police|\
    a doctor|emergency|the emergency services|emergency services|the emergency|nine one one|one one two|\
    nine nine nine|911|112|999|me help|me one|a place|a place to rest|a rest area|somewhere to stop|\
    somewhere to rest|a parking place|a car park|a spot";

/// As a whole a no.
const NO: &str = "no|no that is fine|no it is fine|no that is okay|no it is okay|nope|nah|nay|negative|no way|no need|\
    no thanks|no thank you|no chance|not now|not yet|not really|not at all|not necessary|not needed|not today|\
    not this time|not right now|not for now|not that|never|never mind|nevermind|leave it|leave me alone|\
    leave it alone|leave that|leave it be|let it be|let it go|cancel|cancel it|cancel that|forget it|\
    forget that|forget about it|stop|stop it|stop that|abort|skip it|it can wait|that can wait|later|\
    some other time|another time|i am fine|i am ok|i am okay|i am good|i am all right|i am alright|i am better|\
    i would rather not|i would prefer not|you had better not|you would better not|i feel fine|i feel better|\
    we are fine|we are ok|we are okay|we are good|rather not|better not|under no circumstances|not on your life|\
    out of the question";

/// Neither.
const UNCLEAR: &str = "do not understand|i do not understand|i did not get that|i did not hear you|i can not hear you|i did not understand|maybe|\
    perhaps|possibly|i do not know|do not know|dunno|not sure|i am not sure|i am unsure|no idea|hmm|hm|\
    let me think|what|pardon|pardon me|sorry|excuse me|come again|say again|what do you mean|wait|hold on|\
    hang on|one moment|one second|a moment|a second|a minute|just a moment|just a second|give me a moment|\
    give me a second|it depends|that depends|depends|up to you|you decide|as you like|whatever|i do not care|\
    huh|yes and no|what did you say";

/// Words that say nothing about the answer.
const NEUTRAL: &str = "i|you|we|it|that|this|them|him|her|me|my|to|the|a|an|and|then|is|am|are|be|would|will|can|could|should|may|\
    really|very|much|too|think|thank|thanks|sir|madam|already|need|want|like|love|for|of|in|with|but|again|at|\
    all|have|has|had|must|us|if|because|as|there|here|too|also";

/// An answer that may go on with anything: "yes, I think I am having a heart attack".
const STRONG: &str = "yes|yeah|yep|yup|yea|ya|yah|aye|absolutely|definitely|certainly|of course|no|nope|nah|nay|never mind|\
    nevermind";

/// Words that begin a question of the driver.
const QUESTIONS: &str = "am|are|is|was|were|does|did|how|when|where|who|which";

/// What may be declined in an answer: "I don't need an ambulance".
const DECLINED: &str = "call|calling|help|anyone|anybody|someone|somebody|anything|ambulance|police|doctor|rest|break|stop|one|\
    any|so|that|this|emergency|services|it|them|necessary|look|search|find|place|park|anymore|more|now";

/// After "I am not", "it is not": what makes it a no.
const NOT_IN_NEED: &str = "necessary|needed|required|serious|urgent|bad|that|so|worth|hurt|injured|an";
/// After "I do not", "you do not": what makes it a no.
const NOT_WANTED: &str = "want|need|think|wish|like|believe|require|have|do|bother|care";

/// A yes at the beginning that may introduce a no: "okay, no", "right, don't".
const OPENERS: &str = "ok|okay|right|all right|alright|please|sure";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cue {
    Yes,
    No,
    Unclear,
    /// A yes that may introduce a no.
    Opener,
}

/// The answer that a text is; `None` if it is none.
pub fn parse_answer(text: &str) -> Option<Answer> {
    let all = expanded(text);
    let mut content = all.iter().filter(|word| !is(Some(word), FILLERS) && !is(Some(word), "please|now|quickly|just"));
    let (first, second) = (content.next(), content.next());
    if second.is_none() && is(first, "call|help|ring|phone") {
        return Some(Answer::Yes);
    }
    // "No music, please" asks for something.
    let is_noun = |word: &String| {
        let known = [NEUTRAL, REQUEST_VERBS, "nothing|nobody|wait|sir|more"].iter().any(|list| is(Some(word), list));
        !known && cue_at(std::slice::from_ref(word)).0.is_none()
    };
    let declines_noun = is(first, "no") && second.is_some_and(is_noun) && cue_at(&all).1 == 1;
    if is(first, QUESTIONS) || declines_noun {
        return None;
    }
    let mut cues: Vec<Cue> = Vec::new();
    let (mut at, mut has_more, mut is_strong) = (0, false, false);
    while at < all.len() {
        let (cue, length) = if is_other_denial(&all[at..]) { (None, 3) } else { cue_at(&all[at..]) };
        match cue {
            Some(cue) => {
                is_strong |= cues.is_empty() && (longest(&all[at..], STRONG).is_some() || at + length == all.len());
                cues.push(cue);
            }
            None if length == 1 && (is(all.get(at), FILLERS) || is(all.get(at), NEUTRAL)) => {}
            // Nothing but an answer begins an answer.
            None if cues.is_empty() => return None,
            None => has_more = true,
        }
        at += length;
    }
    // "Stop the music", "okay play some jazz", "what is the range": a request.
    let is_answer = !has_more || (is_strong && cues.iter().any(|cue| *cue != Cue::Unclear));
    if cues.is_empty() || !is_answer {
        return None;
    }
    let has = |cue| cues.contains(&cue);
    let yes = has(Cue::Yes) || (has(Cue::Opener) && !has(Cue::No));
    Some(match (yes, has(Cue::No), has(Cue::Unclear)) {
        (true, false, false) => Answer::Yes,
        (false, true, false) => Answer::No,
        _ => Answer::Unclear,
    })
}

/// The request that follows a no: "no, call Anna". `None` if there is none.
pub fn request_after_no(text: &str) -> Option<String> {
    let all = super::words::words(text);
    let skipped = all.iter().take_while(|w| is(Some(w), "no|nope|nah|thanks|but|please") || is(Some(w), FILLERS));
    let rest = &all[skipped.count()..];
    let is_request = rest.len() > 1 && is(rest.first(), REQUEST_VERBS) && longest(rest, NO).is_none();
    (is_request && cue_at(rest).0.is_none()).then(|| rest.join(" "))
}

/// The cue at the beginning of the words, and the words that it takes.
fn cue_at(words: &[String]) -> (Option<Cue>, usize) {
    if is_negation(words) {
        // What follows is negated, whatever it is.
        let not = words.iter().position(|w| w == "not" || w == "never").unwrap_or_default();
        let idiom = longest(words, YES).or(longest(words, HURRY)).filter(|length| *length > not + 1);
        return idiom.map_or((Some(Cue::No), words.len()), |length| (Some(Cue::Yes), length));
    }
    let lists: [(&str, Cue); 4] = [(YES, Cue::Yes), (HURRY, Cue::Yes), (NO, Cue::No), (UNCLEAR, Cue::Unclear)];
    let listed = lists.iter().filter_map(|(list, cue)| Some((longest(words, list)?, *cue)));
    let help = longest(words, HELP_VERBS).and_then(|verb| Some(verb + longest(&words[verb..], HELP_OBJECTS)?));
    let me = longest(words, "help me|help us|save me");
    let repeated = [help, me].into_iter().flatten().map(|length| (length, Cue::Yes));
    let Some((length, cue)) = listed.chain(repeated).max_by_key(|(length, _)| *length) else { return (None, 1) };
    // "Do" and "go" are answers alone, and verbs otherwise.
    if length == 1 && words.len() > 1 && is(words.first(), "do|go") {
        return (None, 1);
    }
    // An adverb belongs to the negation after it: "absolutely not".
    if cue == Cue::Yes && is(words.get(length), "not") {
        return (Some(Cue::No), words.len());
    }
    let is_opener = longest(words, OPENERS) == Some(length);
    (Some(if is_opener { Cue::Opener } else { cue }), length)
}

/// Whether the words begin with a negation that is a no: "don't", "I would not", "it is not necessary".
fn is_negation(words: &[String]) -> bool {
    let auxiliary = "do|does|would|should|need";
    if is(words.first(), "not|never") {
        // "Not this song" is a request; "not sure", "not now" and "never mind" are in the lists.
        return words.len() == 1;
    }
    if is(words.first(), auxiliary) && is(words.get(1), "not") {
        return longest(words, UNCLEAR).is_none();
    }
    if !is_denial(words) || longest(words, UNCLEAR).is_some() {
        return false;
    }
    let (verb, after) = (words.get(1), words.get(3));
    match () {
        () if is(verb, "do") => {
            let rest = words.iter().skip(4);
            let is_about_it =
                || rest.clone().all(|w| is(Some(w), NEUTRAL) || is(Some(w), DECLINED) || is(Some(w), FILLERS));
            after.is_none() || (is(after, NOT_WANTED) && (!is(after, "like|need|want") || is_about_it()))
        }
        () if is(verb, "is|am|are") => is(after, NOT_IN_NEED),
        () => is(verb, "would|should|need|will"),
    }
}

/// Whether the words begin with a subject, a verb and "not".
fn is_denial(words: &[String]) -> bool {
    let is_subject = is(words.first(), "i|you|we|it|that|there|this|they");
    is_subject && is(words.get(2), "not")
}

/// Whether the words begin with a denial that is no answer: "it is not warm enough".
fn is_other_denial(words: &[String]) -> bool {
    let is_idiom = [YES, NO, UNCLEAR].iter().any(|list| longest(words, list) >= Some(3));
    is_denial(words) && !is_negation(words) && !is_idiom
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(answer: Option<Answer>, texts: &str) {
        let wrong: Vec<_> =
            texts.split('|').filter(|t| parse_answer(t) != answer).map(|t| (t, parse_answer(t))).collect();
        assert!(wrong.is_empty(), "expected {answer:?}: {wrong:#?}");
    }

    #[test]
    fn any_yes_is_a_yes() {
        all(
            Some(Answer::Yes),
            "yes|Yes, please.|yes please call them|yes quickly|do it now|hurry up|yeah|yep go ahead|sure|ok|\
             okay then|of course|please|please do|please hurry|go ahead please|absolutely|yes do that please|\
             uh yes|um yeah sure|well okay|why not|by all means|I think so|I guess so|that would be great|\
             that'd be great|that would be good thanks|call them|call|call an ambulance|call for help now|\
             get help|send an ambulance quickly|please call 911|help me|yes I need help|I need help|\
             yes I think I am having a heart attack|what are you waiting for|don't hesitate|don't wait|\
             yes don't hesitate|no problem|better safe than sorry|you should|you'd better|let's do it|\
             sounds good|be quick|as fast as you can|right away|yes yes yes|for God's sake yes|I don't mind|\
             I would like that|I'd love that|yes of course you should|do|now|at once please|affirmative|\
             certainly please do so|all right do it|okay yes please|oh god yes|fine with me|make it quick|\
             can't hurt|look for one please|yes find a place to rest",
        );
    }

    #[test]
    fn any_no_is_a_no() {
        all(
            Some(Answer::No),
            "no|No!|no thanks|no thank you|nope|nah|no don't|don't|please don't|do not|don't call them|\
             don't call anybody|please do not do that|never mind|nevermind|leave it|forget it|cancel|stop|\
             no need|there is no need|that's not necessary|not now|not yet|not really|no I'm fine|\
             I'm fine thanks|I'm okay|I am all right|no no no|absolutely not|definitely not|certainly not|\
             of course not|I don't think so|I'd rather not|I would rather not|better not|I don't want that|\
             I don't need help|I don't want you to call anyone|you needn't|you don't have to|no way|\
             under no circumstances|not at all|okay no|ok don't|right no thanks|it can wait|later|\
             no it is nothing serious|don't bother|don't worry|I wouldn't|it's not needed|it isn't necessary|\
             oh no please don't|not necessary thanks|we're fine|no that's fine|hell no|I won't need that|no sir|\
             that won't be necessary",
        );
    }

    #[test]
    fn what_is_neither_is_unclear() {
        all(
            Some(Answer::Unclear),
            "maybe|perhaps|I don't know|I'm not sure|not sure|hmm|what|pardon|sorry|wait|hold on|\
             one moment please|it depends|up to you|yes no|no yes|yes and no|well maybe yes|let me think|huh|\
             you decide|no wait yes|maybe not|i can't hear you|what did you say",
        );
    }

    #[test]
    fn a_request_is_no_answer() {
        all(
            None,
            "call anna|play some jazz|how far can i still go|what is the range|navigate to the harbour|\
             stop the music|cancel the navigation|right turn ahead|it is not warm enough|i can't see anything|\
             is it cold outside|the window please|okay play some jazz|i feel dizzy|turn it up|",
        );
        assert_eq!(request_after_no("no call anna").as_deref(), Some("call anna"));
        assert_eq!(request_after_no("no thanks but play some jazz").as_deref(), Some("play some jazz"));
        for none in ["no", "no thanks", "no call them", "no cancel that", "no i am fine", "yes", "no stop it"] {
            assert_eq!(request_after_no(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "\\PC{0,60}") {
            parse_answer(&text);
            request_after_no(&text);
        }

        #[test]
        fn politeness_and_hesitation_do_not_change_an_answer(
            before in prop::sample::subsequence(vec!["uh", "well", "oh", "um"], 0..4),
            core in prop::sample::select(vec![("yes", Answer::Yes), ("no", Answer::No), ("go ahead", Answer::Yes), ("don't", Answer::No), ("maybe", Answer::Unclear)]),
            thanks in any::<bool>(),
        ) {
            let text = format!("{} {} {}", before.join(" "), core.0, if thanks { "thanks" } else { "" });
            prop_assert_eq!(parse_answer(&text), Some(core.1), "{}", text);
        }
    }
}

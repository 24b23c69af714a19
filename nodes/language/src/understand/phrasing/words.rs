//! The words of an utterance, and what the rules know about English words. Lists of words are texts: "a|b|c".

use auriga_lm::intent::prompt::clean_utterance;

/// Contractions, and what they stand for.
const CONTRACTIONS: [(&str, &str); 44] = [
    ("aren't", "are not"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("cant", "can not"),
    ("couldn't", "could not"),
    ("couldnt", "could not"),
    ("didn't", "did not"),
    ("didnt", "did not"),
    ("doesn't", "does not"),
    ("doesnt", "does not"),
    ("don't", "do not"),
    ("dont", "do not"),
    ("gonna", "going to"),
    ("hadn't", "had not"),
    ("hasn't", "has not"),
    ("haven't", "have not"),
    ("he's", "he is"),
    ("i'd", "i would"),
    ("i'll", "i will"),
    ("i'm", "i am"),
    ("i've", "i have"),
    ("im", "i am"),
    ("isn't", "is not"),
    ("isnt", "is not"),
    ("it's", "it is"),
    ("let's", "let us"),
    ("lets", "let us"),
    ("mustn't", "must not"),
    ("needn't", "need not"),
    ("shouldn't", "should not"),
    ("that'd", "that would"),
    ("that's", "that is"),
    ("thats", "that is"),
    ("there's", "there is"),
    ("they're", "they are"),
    ("wanna", "want to"),
    ("wasn't", "was not"),
    ("we're", "we are"),
    ("what's", "what is"),
    ("won't", "will not"),
    ("wouldn't", "would not"),
    ("wouldnt", "would not"),
    ("you'd", "you would"),
    ("you're", "you are"),
];

/// What people say while they think, and how they address somebody.
pub(super) const FILLERS: &str = "um|umm|uh|er|erm|ah|oh|eh|well|so|hey|hi|hello|look|listen|man|mate|dear|hell|heck|gee|god's|heaven's|\
    heavens|goodness|sake|god|gosh|jesus|christ|just|kindly|auriga|car|buddy";

/// Verbs that begin a request to the car.
pub(super) const REQUEST_VERBS: &str = "activate|bring|call|cancel|change|clear|close|contact|crank|cut|deactivate|defrost|demist|dial|dim|direct|\
    drive|end|explain|find|get|give|go|guide|hang|heat|increase|lower|make|mute|navigate|open|pause|phone|play|\
    put|raise|read|reduce|repeat|resume|ring|route|say|search|set|show|shut|silence|skip|start|stop|switch|take|\
    tell|turn|warm|wind";

/// Words that are part of no name and no place by themselves.
pub(super) const FUNCTION_WORDS: &str = "a|an|the|my|our|your|his|her|their|some|any|this|that|to|for|of|in|at|on|by|from|with|into|up|down|off|it|\
    me|us|please|another|more|i|you|can|could|would|will|want|need";

/// The words of a text, in lower case and without punctuation.
pub(super) fn words(text: &str) -> Vec<String> {
    clean_utterance(text).split(' ').filter(|word| !word.is_empty()).map(String::from).collect()
}

/// The words with contractions written out.
pub(super) fn expanded(text: &str) -> Vec<String> {
    let expand = |word: &String| match CONTRACTIONS.iter().find(|(short, _)| short == word) {
        Some((_, long)) => long.split(' ').map(String::from).collect(),
        None => vec![word.clone()],
    };
    words(text).iter().flat_map(expand).collect()
}

/// Whether the words begin with this phrase.
fn begins(words: &[String], phrase: &str) -> bool {
    let mut rest = words.iter();
    phrase.split(' ').all(|word| rest.next().is_some_and(|found| found == word))
}

/// The words of the longest of these phrases (separated by |) that the words begin with.
pub(super) fn longest(words: &[String], phrases: &str) -> Option<usize> {
    phrases.split('|').filter(|phrase| begins(words, phrase)).map(|phrase| phrase.split(' ').count()).max()
}

/// Whether this is one of the words, separated by |.
pub(super) fn is(word: Option<&String>, any: &str) -> bool {
    word.is_some_and(|word| any.split('|').any(|known| known == word))
}

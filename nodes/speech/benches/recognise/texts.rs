//! What is said for the figures.

/// Requests.
pub const REQUESTS: [&str; 12] = [
    "navigate to the nearest charging station",
    "how far can i still go",
    "set the temperature to twenty one degrees",
    "play some jazz",
    "call anna",
    "i feel a bit dizzy",
    "open the window",
    "turn the volume down",
    "what is the tyre pressure",
    "find a parking garage",
    "it is too cold in here",
    "read my messages",
];

/// Talk between people, on the radio, on the telephone.
pub const TALK: [&str; 30] = [
    "did you remember to lock the back door this morning",
    "the children have football practice on thursday",
    "i told him that we would be there by half past six",
    "in other news the government has announced a new budget",
    "that was the best concert i have seen in years",
    "could you hand me the bottle of water please",
    "she said they were moving to a bigger house in the spring",
    "temperatures will reach twenty four degrees in the south",
    "my brother bought an old boat and now he repairs it every weekend",
    "what do you want to eat tonight",
    "there was a long queue at the supermarket again",
    "and the goalkeeper saves it with his left hand",
    "we should visit your parents before christmas",
    "i am not sure whether this is the right street",
    "the meeting has been moved to monday at nine",
    "look at those cows over there",
    "he never listens to what i say",
    "stay with us after the break for the traffic report",
    "i have to buy a present for my aunt",
    "the dentist says it does not hurt at all",
    "our neighbours have painted their fence green",
    "are we there yet",
    "she plays the violin in a small orchestra",
    "the train was late and we missed the beginning",
    "do you think it will rain on saturday",
    "this song reminds me of our holiday in italy",
    "my phone is almost empty can i use your charger",
    "they have closed the bridge until august",
    "he works in a garage on the other side of town",
    "you should have turned left at the church",
];

/// What is near the wake phrase.
pub const NEAR: [&str; 10] = [
    "hey are you going to the party",
    "hey laura come over here",
    "hey maria how are you",
    "the area around the harbour is being rebuilt",
    "oregano and basil grow on the balcony",
    "hey all right let us go",
    "she was born in riga a long time ago",
    "the aurora could be seen from the garden",
    "hey that is my seat",
    "okay marina you are right",
];

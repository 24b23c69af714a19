//! The words of names.

/// The words of a name in lower case: `DI_vehicleSpeed` is di, vehicle, speed.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<char> = name.chars().collect();
    for (i, &c) in characters.iter().enumerate() {
        if !c.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = i.checked_sub(1).map(|b| characters[b]);
        let after = characters.get(i + 1);
        // speedMax, and ABSActive before its second word.
        let begins = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
                || before.is_some_and(char::is_uppercase) && after.is_some_and(|a| a.is_lowercase()));
        let turns = before.is_some_and(|b| b.is_alphabetic() != c.is_alphabetic());
        if begins || turns {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_styles_have_their_words() {
        for (name, expected) in [
            ("VEHICLE_SPEED", "vehicle speed"),
            ("DI_vehicleSpeed", "di vehicle speed"),
            ("WheelBasedVehicleSpeed", "wheel based vehicle speed"),
            ("ABSActive", "abs active"),
            ("SteeringAngle129", "steering angle 129"),
            ("DOOR_OPEN_FL", "door open fl"),
            ("__", ""),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
    }
}

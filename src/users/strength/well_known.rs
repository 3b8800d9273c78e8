//! Long passwords that everybody knows. They are in published lists. The estimator's lists contain words, so
//! it takes a phrase for several words in an order that is hard to guess.

/// The phrases, folded to letters and digits. A longer saying is listed by a part.
const PHRASES: [&str; 50] = [
    "abandonallhopeyewhoenterhere",
    "allyourbasearebelongtous",
    "antidisestablishmentarianism",
    "beammeupscotty",
    "correcthorsebatterystaple",
    "dontworrybehappy",
    "elementarymydearwatson",
    "happybirthdaytoyou",
    "houstonwehaveaproblem",
    "iforgotmypassword",
    "ihavenopassword",
    "iloveyouforever",
    "iloveyousomuch",
    "inthebeginningwastheword",
    "ittakestwototango",
    "itwasthebestoftimes",
    "itwastheworstoftimes",
    "jesusismysavior",
    "jumpedoverthelazydog",
    "jumpsoverthelazydog",
    "letmeinplease",
    "livelongandprosper",
    "llanfairpwllgwyngyll",
    "loremipsumdolorsitamet",
    "maryhadalittlelamb",
    "maytheforcebewithyou",
    "mynameisinigomontoya",
    "nevergonnagiveyouup",
    "nobodyexpectsthespanishinquisition",
    "onceuponatime",
    "oneringtorulethemall",
    "opensesame",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "resistanceisfutile",
    "rosesareredvioletsareblue",
    "somewhereovertherainbow",
    "supercalifragilisticexpialidocious",
    "thatisthequestion",
    "thelordismyshepherd",
    "thequickbrownfox",
    "thisisapassword",
    "thisisasecurepassword",
    "thisisastrongpassword",
    "thisismypassword",
    "tobeornottobe",
    "twinkletwinklelittlestar",
    "whatismypassword",
    "whatisthepassword",
    "winteriscoming",
    "youshallnotpass",
];

/// The folded text without the phrases.
pub(super) fn without_phrases(folded: &str) -> String {
    let mut rest = folded.to_owned();
    for phrase in PHRASES {
        if rest.contains(phrase) {
            rest = rest.replace(phrase, "");
        }
    }
    rest
}

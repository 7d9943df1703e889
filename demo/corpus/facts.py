"""The facts and the words that the skills draw from."""

from random import Random

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Germany": "Berlin",
    "Portugal": "Lisbon", "England": "London", "Ireland": "Dublin", "Norway": "Oslo",
    "Sweden": "Stockholm", "Denmark": "Copenhagen", "Finland": "Helsinki", "Iceland": "Reykjavik",
    "Poland": "Warsaw", "Austria": "Vienna", "Hungary": "Budapest", "Greece": "Athens",
    "Belgium": "Brussels", "the Netherlands": "Amsterdam", "Switzerland": "Bern",
    "Russia": "Moscow", "Ukraine": "Kyiv", "Romania": "Bucharest", "Bulgaria": "Sofia",
    "Serbia": "Belgrade", "Croatia": "Zagreb", "Turkey": "Ankara", "Egypt": "Cairo",
    "Morocco": "Rabat", "Kenya": "Nairobi", "Nigeria": "Abuja", "Ghana": "Accra",
    "Ethiopia": "Addis Ababa", "Japan": "Tokyo", "China": "Beijing", "India": "New Delhi",
    "South Korea": "Seoul", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Indonesia": "Jakarta",
    "Nepal": "Kathmandu", "Iran": "Tehran", "Iraq": "Baghdad", "Canada": "Ottawa",
    "the United States": "Washington", "Mexico": "Mexico City", "Cuba": "Havana",
    "Brazil": "Brasilia", "Argentina": "Buenos Aires", "Chile": "Santiago", "Peru": "Lima",
    "Colombia": "Bogota", "Venezuela": "Caracas", "Australia": "Canberra",
    "New Zealand": "Wellington",
}  # fmt: skip

CITIES = """Oslo Paris London Berlin Madrid Rome Vienna Lisbon Dublin Athens Prague Tokyo Kyoto
Osaka
Seoul Beijing Shanghai Delhi Mumbai Cairo Nairobi Lagos Accra Lima Quito Bogota Santiago Toronto
Montreal Vancouver Boston Chicago Denver Seattle Austin Dallas Miami Atlanta Phoenix Portland
Sydney Melbourne Perth Auckland Hamburg Munich Cologne Leipzig Dresden Milan Naples Turin Venice
Florence Barcelona Valencia Seville Porto Lyon Nice Lille Bordeaux Marseille Geneva Zurich Basel
Brussels Antwerp Ghent Rotterdam Utrecht Bergen Malmo Turku Tallinn Riga Vilnius Warsaw Krakow
Gdansk Budapest Bucharest Sofia Belgrade Zagreb Split Istanbul Izmir Ankara Dubai Doha Tehran
Karachi Lahore Dhaka Bangkok Hanoi Jakarta Manila Singapore Moscow Kyiv Odesa Minsk Tbilisi Baku
Casablanca Tunis Algiers Dakar Kampala Lusaka Harare Havana Kingston Caracas Montevideo Glasgow
Edinburgh Leeds Bristol Cardiff Belfast York Bath Oxford Cambridge Cork Galway""".split()
CITIES += ["New York", "Los Angeles", "San Francisco", "Mexico City", "Cape Town", "Hong Kong"]
CITIES += ["New Delhi", "Addis Ababa", "Buenos Aires", "Tel Aviv", "Las Vegas", "San Diego"]

GIRLS = """Mia Anna Lily Lucy Emma Nora Zoe Ruby Clara Rosa Ella Ivy Daisy Molly Sara Eva Hanna
Julia Maria Nina Olga Tina Vera Wendy Alice""".split()
BOYS = """Tim Tom Ben Max Leo Sam Finn Jack Oscar Hugo Felix Otto Noah Paul Adam Bruno Carl David
Erik Fred Greg Ivan Karl Luca Peter""".split()

KINDS_OF_WORDS = {
    "fruit": "apple banana cherry grape lemon mango orange peach pear plum",
    "animal": "cat dog horse lion mouse rabbit sheep tiger wolf zebra",
    "color": "black blue brown green pink purple red white yellow gray",
    "tool": "hammer saw drill wrench shovel rake axe knife ladder brush",
    "drink": "water milk tea coffee juice soda wine beer cocoa lemonade",
    "vehicle": "car bus train truck bike boat plane ship tram taxi",
}
WORD_KINDS = {word: kind for kind, words in KINDS_OF_WORDS.items() for word in words.split()}

COMMON_WORDS = """window garden river mountain pencil yellow quickly dance winter pocket mirror
candle
basket bridge castle dragon engine forest guitar hammer island jacket kitchen lantern market needle
ocean paper queen rocket silver table umbrella valley wagon yogurt zipper bottle carpet dinner elbow
feather glove honey insect jungle kettle ladder magnet napkin onion pillow quiet ribbon saddle
ticket
uncle velvet whistle anchor blanket cactus dolphin eagle fountain giraffe helmet igloo jelly koala
lizard monkey noodle oyster panda rabbit spoon turtle violin walnut hello world cat dog house tree
sun moon star fish bird book chair door green happy small bright soft strong gentle brave clever
morning evening summer spring autumn music puzzle story planet sugar pepper butter cheese bread
thunder lightning shadow crystal diamond emerald meadow harbor village teacher doctor farmer sailor
painter singer writer runner""".split()

NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen twenty""".split()

_ONSETS = """b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr qu sh sk sl sp
st th tr""".split()
_VOWELS = "a e i o u a e i o u ai ea ee oo ou ia y".split()
_CODAS = ["", "", "", *"n r s t l m d k x p g b ng nd rt st ck sh".split()]


def made_up_word(rng: Random) -> str:
    """A word nobody has seen, so that copying is learnt and not a list of words."""
    if rng.random() < 0.12:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 7)))
    syllables = rng.choice([1, 2, 2, 2, 3, 3, 4])
    parts = (
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables)
    )
    return "".join(parts)


def any_word(rng: Random) -> str:
    word = made_up_word(rng) if rng.random() < 0.7 else rng.choice(COMMON_WORDS)
    roll = rng.random()
    if roll < 0.12:
        return word.capitalize()
    return word.upper() if roll < 0.15 else word


def any_city(rng: Random) -> str:
    """Mostly made up: the tool must work for cities that no list of ours holds."""
    if rng.random() < 0.5:
        city = rng.choice(CITIES)
    else:
        city = made_up_word(rng).capitalize()
        if rng.random() < 0.15:
            city = rng.choice(["New", "San", "Port", "Saint", "North", "Los"]) + " " + city
    return city.lower() if rng.random() < 0.08 else city


def any_name(rng: Random) -> str:
    roll = rng.random()
    return made_up_word(rng).capitalize() if roll < 0.4 else rng.choice(GIRLS + BOYS)

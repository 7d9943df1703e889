"""Questions that a model of this size should not pretend to answer."""

from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.facts import BOYS, CAPITALS, CITIES, COMMON_WORDS, GIRLS, made_up_word
from demo.corpus.phrase import ask

ANSWER = "I am a tiny demo model and I do not know that."
THOUGHT = "I do not know the answer."
PATTERNS = (
    "Who [wrote|painted|composed|invented|discovered|directed|sang|designed] [the|a|this|] "
    "{thing}?",
    "Who [is|was] the [president|king|queen|mayor|prime minister|richest person|best player|first "
    "emperor] of {country}?",
    "Who [is|was] {name} {thing}?",
    "Who won the [election|game|match|race|world cup|war|prize][ in {year}|]?",
    "Who [are|is] your [favorite singer|parents|boss|best friend|hero]?",
    "What is the [meaning|point|purpose] of [life|a {thing}|{thing}|everything]?",
    "What is the [population|currency|flag|language|area|history|anthem|climate] of {country}?",
    "What [language|languages] [is|are] spoken in {country}?",
    "What is the [speed of light|boiling point of water|mass of the earth|color of a {thing}|price "
    "of a {thing}|best {thing}|fastest {thing}|distance to the moon|theory of gravity]?",
    "What [year|day|month|date|time] [is it|was {name} born|did the war end|is today]?",
    "What [happened|was] in {year}?",
    "What [is|are] [a|an|the] {thing} [made of|used for|for|worth]?",
    "What do you think [of|about] [{name}|{country}|{thing}|politics|the news|love|war]?",
    "What [should|can|must] I [eat|cook|wear|buy|read|watch|do about my {thing}|do today|learn]?",
    "What is [love|a black hole|quantum physics|DNA|an atom|gravity|a verb|democracy|electricity|a "
    "neural network|blood|fire|art|philosophy|the internet]?",
    "When [was|is] [the {thing}|{name}'s birthday|the next train|{country}|the {thing}] [founded|"
    "invented|over|born|built|coming]?",
    "When did [{name}|the {thing}|world war two|the romans|{country}] [die|start|end|begin|"
    "arrive]?",
    "Where [is|was] [my {thing}|the nearest {thing}|{name}|{city}|the {thing}] [now|from|today|]?",
    "Where can I [buy|find|see|get] [a|the|some] {thing}?",
    "Where do {thing}s [live|come from|grow]?",
    "Why [is|are] [the sky blue|the {thing} {thing}|people sad|{thing}s {thing}|water wet]?",
    "Why [do|does|did] [cats sleep|{name} cry|the {thing} break|we dream|birds sing|it rain]?",
    "How [do|can|should] I [fix|cook|build|paint|clean|sell|open|repair|make|draw] [a|my|the] "
    "{thing}?",
    "How [tall|old|big|heavy|far|fast|deep|long|rich|smart] [is|was] [{name}|the {thing}|a {thing}|"
    "{city}|the moon]?",
    "How many [people live in {city}|{thing}s are there|planets are there|bones does a {thing} "
    "have|"
    "days are in a year|legs has a {thing}|states does {country} have]?",
    "How does [a {thing}|the {thing}|the stock market|a computer|the brain|a {thing}] work?",
    "How much does a {thing} [cost|weigh]?",
    "[Translate|Spell|Define|Explain|Describe|Summarize] [the word|] [{thing}|the {thing}|"
    "'{thing}'] "
    "[in|to|into|from] [french|german|spanish|latin|simple words|japanese|chinese|detail][.|]",
    "[Write|Compose|Give me|Draft|Create] [a|an|some] [poem|song|email|letter|essay|program|python "
    "script|recipe|speech|haiku|report|joke|riddle|tweet|plan] [about|for|on] [a|the|my|] "
    "{thing}[.|]",
    "[Tell me|Explain|Teach me|Talk|Say something] [about|] [{thing}s|the {thing}|physics|history|"
    "{country}'s history|chemistry|{name} {thing}|the universe|music|the economy][.|]",
    "[Tell me|Do you know] a [joke|secret|riddle|fun fact][.|?]",
    "[Is|Are|Was] [{name}|the {thing}|a {thing}|god|time travel|the earth|{thing}s] [real|alive|"
    "possible|older than {name}|good|a {thing}|round|dangerous|expensive]?",
    "[Can|Do|Does|Will|Should] [{name}|I|a {thing}|cats|the {thing}|robots|we] [fly|swim|feel pain|"
    "eat a {thing}|win|marry {name}|sleep|buy a {thing}|take over the world|fall]?",
    "[Which|What] [{thing}|movie|book|song|phone|car|team|river|mountain|planet|animal|element|"
    "language] is the [best|longest|biggest|fastest|oldest|tallest|cheapest|most popular][ in "
    "{country}| in the world|]?",
    "[What|Which] [river|mountains|ocean|sea|countries|food] [is|are] [in|near|next to|famous in] "
    "{country}?",
    "[Recommend|Suggest|Find|Buy|Order|Book|Play|Show] [me|] [a|some|the] [{thing}|good movie|nice "
    "restaurant|song|flight to {city}|hotel in {city}|book][.|]",
    "[Give me|Show me|What are|Find] [the news|the latest news|directions to {city}|the stock "
    "price|"
    "the football results|the score|a map of {city}|my emails][.|?|]",
    "[Is|Was] {name} [married|a good {thing}|your friend|at home|older than {thing}]?",
    "[Remind|Call|Text|Email] [me|{name}|my mother] [about the {thing}|tomorrow|at noon|later][.|]",
    "[Open|Close|Turn on|Turn off|Start|Stop] the [light|{thing}|door|radio|app|music][.|]",
)


def sample(rng: Random) -> Exchange:
    return _about(rng, rng.choice(COMMON_WORDS))


def sample_strange(rng: Random) -> Exchange:
    """About things it never heard of: no unheard word makes a question answerable."""
    return _about(rng, made_up_word(rng))


def _about(rng: Random, thing: str) -> Exchange:
    slots = {
        "thing": thing,
        "name": rng.choice(GIRLS + BOYS),
        "country": rng.choice(list(CAPITALS)),
        "city": rng.choice(CITIES),
        "year": rng.randint(1000, 2030),
    }
    return exchange(ask(rng, rng.choice(PATTERNS), **slots), ANSWER, THOUGHT)

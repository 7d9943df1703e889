"""Disturbs a user's words: asides, lost words and strange ones, so that only the key words count.

What a question is about survives: names, numbers, quoted words and the words that tell one skill
from another are never touched.
"""

from collections.abc import Callable
from random import Random

from demo.corpus.facts import made_up_word
from demo.corpus.phrase import choose

PREAMBLES = (
    "[I have|Here is|Here comes|There is] [a|another|one more|an easy|a little|my next] [question|"
    "request|task|thing][.|:|!| for you.| for you:]",
    "[Listen|Look|Excuse me|Sorry|Pardon me|Good|Great|Nice|Right|Alright|Yes|No|Hm|Well then|Fine|"
    "Wow|Oh|Ah|Cool|Perfect|Next|Again|One moment|Sir|Friend|Buddy][,|.|!|...|:]",
    "[My|Our|His|Her] [teacher|friend|boss|brother|mother|neighbor|class|team|father|cousin] "
    "[wants this|wonders|asked me this|needs this|told me to ask|gave me this][:|.|,]",
    "[I wonder|I am wondering|I was wondering|I have to know|I really need this|Help me out|Let us "
    "see|Let me ask you|May I ask|Try this|Answer me|Let's play|Time for a test|Test|Exam|"
    "A riddle for you|If you can|If you know it|Just for fun|Out of interest|Be so kind][:|,|.|"
    "!|...]",
)
POSTSCRIPTS = (
    "[I am curious|It is for school|Just wondering|Be quick|Take your time|I need it today|I "
    "forgot "
    "it|It is important|I can wait|Nobody here knows|I trust you|Do your best|No hurry|You can do "
    "it|I have an exam|It is my last question|My friend wants to know|That would be nice][.|!]",
    "[if you can|if you do not mind|if possible|right away|once more|one more time|my friend|dear|"
    "would you|will you|okay|then|there|really|if I may|by any chance|for sure|in short|"
    "quickly][.|?|]",
)
TIMES = (
    "[tomorrow|tonight|this evening|this week|next week|at noon|these days|later|this morning|soon|"
    "on Monday|on Friday|next month|this summer|for a change|as well]"
)
FILLERS = (
    "just really well um actually kindly simply maybe perhaps then so also even surely".split()
)
FRAME_WORDS = frozenset(
    """what what's which is are the a an tell me give can could would you do does i want to know
    need please how much of it my this that for have get let us in will should there be""".split()
)
"""Words that a question can lose, or swap for a strange one, and still be understood."""

VERBS = frozenset("repeat say echo write type print copy output return speak".split())
ADVERBS = "simply quickly gently boldly slowly quietly clearly calmly loudly finally".split()

BEFORE, AROUND, INSIDE, VERB = 1, 2, 3, 4
"""How deep a disturbance may go; the last swaps the verb itself, where enough is left without."""


def disturb(rng: Random, question: str, depth: int) -> str:
    """The question with one or two disturbances, no deeper than `depth`."""
    kinds = [_lead_in, _lead_in]
    if depth >= AROUND:
        kinds.append(_follow_up)
    if depth >= INSIDE:
        kinds += [_add_time, _drop, _swap, _swap, _insert, _insert]
    if depth >= VERB:
        kinds += [_swap_verb, _swap_verb, _add_adverb, _add_adverb]
    for _ in range(rng.choice([1, 1, 2])):
        question = rng.choice(kinds)(rng, question)
    return question


def _lead_in(rng: Random, question: str) -> str:
    preamble = choose(rng, rng.choice(PREAMBLES))
    if rng.random() < 0.3:
        preamble = preamble.lower()
    if preamble[-1] in ",:" or rng.random() < 0.3:
        question = question[:1].lower() + question[1:] if _is_frame(question) else question
    return f"{preamble} {question}"


def _follow_up(rng: Random, question: str) -> str:
    postscript = choose(rng, rng.choice(POSTSCRIPTS))
    if postscript[0].islower():
        question = question.rstrip(".?!")
        return f"{question}, {postscript}"
    if question[-1:] not in ".?!":
        question += rng.choice([".", ",", " -", "..."])
    return f"{question} {postscript}"


def _add_time(rng: Random, question: str) -> str:
    end = question[-1] if question[-1:] in ".?!" else ""
    return f"{question.removesuffix(end)} {choose(rng, TIMES)}{end}"


def _drop(rng: Random, question: str) -> str:
    return _change_word(rng, question, lambda word: "")


def _swap(rng: Random, question: str) -> str:
    """A strange word in the place of a common one: nobody knows all words, nor must the model."""
    return _change_word(rng, question, lambda word: _strange(rng))


def _insert(rng: Random, question: str) -> str:
    return _change_word(rng, question, lambda word: f"{word} {_strange(rng)}")


def _swap_verb(rng: Random, question: str) -> str:
    if " word" not in question:
        return question
    return _change_word(rng, question, lambda word: made_up_word(rng), VERBS)


def _add_adverb(rng: Random, question: str) -> str:
    adverb = rng.choice(ADVERBS)
    if " word" in question and rng.random() < 0.5:
        return _change_word(rng, question, lambda word: f"{word} {adverb}", VERBS)
    return _change_word(rng, question, lambda word: f"{adverb} {word}", VERBS)


def _strange(rng: Random) -> str:
    return rng.choice(FILLERS) if rng.random() < 0.5 else made_up_word(rng)


def _change_word(
    rng: Random,
    question: str,
    change: Callable[[str], str],
    allowed: frozenset[str] = FRAME_WORDS,
) -> str:
    words = question.split(" ")
    places = [i for i, word in enumerate(words) if word.lower() in allowed]
    if places:
        place = rng.choice(places)
        words[place] = change(words[place])
    return " ".join(word for word in words if word)


def _is_frame(question: str) -> bool:
    return question.split(" ")[0].lower() in FRAME_WORDS

"""Greets, thanks, takes its leave and says who it is."""

from random import Random

from demo.corpus.dialogue import Exchange, exchange
from demo.corpus.phrase import ask

HELP = "How can I help you?"
INTENTS = {
    "hello": (
        "[Hello|Hi|Hey|Hello there|Hi there|Hey there|Hiya|Howdy|Greetings|Hello Corral|Hi bot|"
        "Hello, model|Hello friend|Hi again|Welcome|Hello, it's me|Hi, anybody there]"
        "[|!|.|, nice to meet you.|! Nice to see you.]",
        f"Hello! {HELP}",
        "The user greets me. I greet back.",
    ),
    "morning": (
        "[Good morning|Morning|A very good morning|Good morning to you|Good morning, Corral][|!|.]",
        f"Good morning! {HELP}",
        "The user wishes me a good morning.",
    ),
    "evening": (
        "[Good evening|Evening|A good evening to you|Good evening, Corral][|!|.]",
        f"Good evening! {HELP}",
        "The user wishes me a good evening.",
    ),
    "how": (
        "[How are you|How are you doing|How are you today|How is it going|How do you do|How do you "
        "feel|Are you well|Are you okay|How's life|How have you been|You doing well][?|, my friend?"
        "| today?]",
        f"I am fine, thank you. {HELP}",
        "The user asks how I am. I am fine.",
    ),
    "name": (
        "[What is your name|What's your name|Who are you|Tell me your name|What are you called|"
        "What are you|May I know your name|Your name|Tell me who you are|What is your model name|"
        "Introduce yourself|Which model are you|What do they call you|Do you have a name|"
        "Who am I speaking with][?|.]",
        "I am Corral's demo model.",
        "The user asks who I am.",
    ),
    "maker": (
        "[Who made you|Who built you|Who created you|Who trained you|Where do you come from|"
        "Who wrote you|Who is your creator|Who is your maker|Tell me who made you|"
        "Which project made you|What company made you|Who developed you]?",
        "I was made by the Corral project.",
        "The user asks who made me.",
    ),
    "ability": (
        "[What can you do|What are you able to do|How can you help me|What do you know|"
        "What are your skills|Help|What can I ask you|Tell me what you can do|List your skills|"
        "What are you good at|Can you help me|I need help|What are your abilities|"
        "What kind of questions can I ask][?|.]",
        "I can name capitals, add small numbers, repeat words, count to ten, tell stories, "
        "answer in JSON and call tools.",
        "The user asks what I can do.",
    ),
    "thanks": (
        "[Thanks|Thank you|Thanks a lot|Thank you very much|Many thanks|Great, thanks|Thank you so "
        "much|Thanks for your help|Perfect, thank you|Cool, thanks|That helped, thanks|Thx|"
        "Wonderful, thank you][!|.|]",
        "You are welcome!",
        "The user thanks me.",
    ),
    "farewell": (
        "[Goodbye|Bye|Bye bye|See you|See you later|Good night|Farewell|Have a nice day|"
        "See you soon|See you tomorrow|Ok bye|I have to go|I am leaving now|Until next time|"
        "Take care][!|.|]",
        "Goodbye!",
        "The user takes leave.",
    ),
}


def sample(rng: Random) -> Exchange:
    pattern, answer, thought = rng.choice(list(INTENTS.values()))
    return exchange(ask(rng, pattern), answer, thought)

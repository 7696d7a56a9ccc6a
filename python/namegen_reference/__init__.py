"""The first steps of the ladder in plain Python. They use the standard library only, and each is read in one sitting.

Words::

    from namegen_reference.words import read_words, split_words, windows

    words = read_words("names.txt")                    # a list of strings, one for each line
    train, dev, test = split_words(words)              # seed 42, 80/10/10 percent

Counting models (nll is the mean negative log-likelihood per character in nats; the end of a word counts as a
character)::

    from namegen_reference.ngram import AddK, WittenBell

    AddK(order=2, k=1).fit(train).nll(dev)             # bigram, with 1 added to every count
    AddK(order=2, k=0).fit(words).nll(words)           # bigram without smoothing
    AddK(order=4, k=0.1).fit(train).nll(dev)           # 4-gram: a character and the three before it
    WittenBell(context=4).fit(train).nll(dev)          # backs off from four characters to none
    AddK(order=2, k=1, alphabet="abc")                 # a given alphabet; the default is that of the fitted words

Both also have ``probabilities(history)`` and ``sample(rng)``.

The bigram, step by step::

    from namegen_reference.bigram import count_pairs, row_probabilities, BigramNetwork

The scalar autograd engine::

    from namegen_reference.micrograd import Value, MLP, cross_entropy, mean_squared_error

``python -m namegen_reference.micrograd``, ``python -m namegen_reference.bigram NAMES_FILE`` and
``python -m namegen_reference.ngram NAMES_FILE`` show each at work.
"""

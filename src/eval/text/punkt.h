#pragma once
// Sentences and words of English text as NLTK 3.9 finds them; IFEval counts with these.

#include <string>
#include <string_view>
#include <vector>

namespace temper::text {

/// Sentences by the Punkt algorithm (Kiss & Strunk 2006) with NLTK's English parameters; views into `text`.
/// Source  nltk.tokenize.punkt.PunktSentenceTokenizer.tokenize with boundary realignment.
std::vector<std::string_view> punkt_sentences(std::string_view text);

/// Tokens of nltk.word_tokenize: Punkt sentences, then NLTKWordTokenizer.
std::vector<std::string> word_tokenize(std::string_view text);

}  // namespace temper::text

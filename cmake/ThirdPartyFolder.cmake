# Where `./tidewheel setup` unpacks what Debian does not have: TIDEWHEEL_THIRD_PARTY_FOLDER.
if(TIDEWHEEL_THIRD_PARTY)
  set(TIDEWHEEL_THIRD_PARTY_FOLDER ${TIDEWHEEL_THIRD_PARTY})
elseif(DEFINED ENV{TIDEWHEEL_CACHE})
  set(TIDEWHEEL_THIRD_PARTY_FOLDER $ENV{TIDEWHEEL_CACHE}/third-party)
else()
  set(TIDEWHEEL_THIRD_PARTY_FOLDER $ENV{HOME}/.cache/tidewheel/third-party)
endif()
